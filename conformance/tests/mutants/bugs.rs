//! What can be wrong, or odd, with a store, and which clauses must find it out.

macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident => [$($clause:literal),+];)*) => {
        /// What is wrong, or odd, with a store.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Bug {
            $($(#[doc = $doc])* $name,)*
            /// Odd but right: empty pages, and never more than one row in the others.
            TinyPages,
            /// Odd but right: says no to every power that it may lack.
            Powerless,
            /// Odd but right: cannot say which of two writes it kept.
            Resolving,
            /// Odd but right: keeps the newer of two writes, whichever came first.
            ByVersion,
            /// Odd but right: lets others run before and after all that it does.
            Slow,
            /// Odd but right: what was begun is done, though its future be dropped; a barrier
            /// waits for it.
            FinishesCancelled,
            /// Odd but right: keeps its records by a hash of their keys.
            HashOrder,
            /// Odd but right: keeps its records in the order opposite to that of their keys.
            BackwardOrder,
            /// Odd but right: hands out copies, seven at a time at most.
            InSevens,
            /// Odd but right: does one thing at a time.
            OneAtATime,
            /// Odd but right: one call in ten is refused before it begins, and made again by
            /// the layer that is there for it.
            OftenUnavailable,
            /// Odd but right: is reached through a server that can be taken away.
            Remote,
            /// Right where that is expected: one call is not answered in time.
            Disturbed,
            /// Odd but right, since it says so: a handle reads its own writes, and those of
            /// others two readings late.
            Lagging,
            /// Odd but right, since it says so: readings show what was written in the time that
            /// it names for that, and every third at once.
            Eventual,
            /// The same, and it names no time.
            InTheEnd,
        }

        /// Every mutant, with the clauses of which at least one must kill it.
        pub(crate) const MUTANTS: &[(Bug, &[&str])] = &[$((Bug::$name, &[$($clause),+]),)*];

        /// Every mutant's name, and what is wrong with it.
        pub(crate) const WORDS: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),*)),)*];
    };
}

bugs! {
    /// The last page is left out, and the end counts only what was given.
    ScanEndsEarly => ["L1"];
    /// The last page is left out, and the end counts it.
    ScanEndsShort => ["L1"];
    /// A scan gives a thousand rows and no more, as others do with ten thousand.
    ScanStopsAtAThousand => ["L1"];
    /// Each page begins with the row that ended the one before.
    PageRepeatsRow => ["L1"];
    /// A scan of keys alone leaves the values where they are long.
    LongValuesInKeyScans => ["L1"];
    /// As parts of what is stored are put together, a record gets lost.
    LostInMerge => ["L1"];
    /// A namespace that goes away under a scan ends it as if it were complete.
    CutOffScanEnds => ["L7", "N5"];
    /// Every page is read from the present, while one moment is promised.
    ScanOfManyMoments => ["L6"];
    /// The values of a page are swapped between its first two rows.
    ScanTearsRows => ["L1", "L6"];
    /// A scan after a cursor gives the cursor's own row again.
    CursorInclusive => ["L9"];
    /// A cursor whose key was deleted begins anew.
    CursorOfDeletedRestarts => ["L9"];
    /// Cursors and ranges of other namespaces are taken.
    ForeignCursorsTaken => ["L9"];
    /// The last range of a split is missing.
    SplitMissesLast => ["L10"];
    /// A split leaves nearly everything in one range.
    SplitUnbalanced => ["L10"];
    /// Ranges of a split share a row.
    SplitOverlaps => ["L10"];
    /// Deletes of a batch come before its puts.
    BatchReorders => ["B3"];
    /// An atomic batch is applied write by write.
    BatchVisibleInParts => ["B4"];
    /// An atomic batch that is refused has applied what came before the refused write.
    BatchAppliesUpToError => ["B2"];
    /// A batch is cut after a thousand writes.
    BatchCut => ["B7"];
    /// One item that fails makes the batch look applied.
    BatchHidesFailures => ["B10"];
    /// Deleting what is not there is an error.
    DeleteOfAbsentFails => ["N3", "I2"];
    /// Deleting what is not there counts.
    DeleteOfAbsentCounts => ["N3", "K1"];
    /// A deleted record still shows in scans.
    DeletedIsListed => ["C3"];
    /// A hidden marker is visible in scans.
    MarkerIsListed => ["R6", "N3"];
    /// `has` says false when it could not look.
    HasSwallowsErrors => ["N5"];
    /// `get` says nothing when it could not look.
    GetSwallowsErrors => ["N5"];
    /// `get` of what is not there is an empty record.
    AbsentIsDefault => ["N1"];
    /// `get` takes the first key that begins like the one asked for.
    PrefixIsKey => ["N1", "U1"];
    /// Keys are cut at their first NUL.
    KeyCutAtNul => ["U1"];
    /// Keys are cut after 64 bytes.
    KeyCutAt64 => ["U1"];
    /// Keys are compared without case.
    CaseFolded => ["U3"];
    /// A CIDv1's key is its multihash.
    KeyIsMultihash => ["C4"];
    /// What a longer value leaves behind stays.
    ValueTailKept => ["R2"];
    /// Values end at their first NUL.
    ValueCutAtNul => ["U4"];
    /// The count is taken once and kept.
    CountCached => ["K1"];
    /// Counts are estimates that call themselves exact.
    CountRounded => ["K1", "K2", "R3"];
    /// `if absent` is called unsupported, and works.
    UndeclaredIfAbsentWorks => ["R4"];
    /// An atomic batch is called unsupported, and applies in part.
    UndeclaredBatchWorks => ["B2", "B3"];
    /// `if absent` reads and then writes, with a gap between.
    IfAbsentRaces => ["R4"];
    /// Of two writes of one version the later wins.
    EqualVersionsByArrival => ["R5"];
    /// An older put brings back what was conditionally deleted.
    OlderPutResurrects => ["R6"];
    /// Each handle remembers what it has read.
    StaleHandle => ["C10", "C3"];
    /// A handle goes over to a new namespace of the old name.
    HandleFollowsName => ["N5", "R1"];
    /// Dropping a namespace drops those whose names begin like it.
    DropTakesPrefix => ["C9"];
    /// Dropping a namespace hides it and keeps its records.
    DropKeepsRecords => ["Z3"];
    /// Replacing a namespace merges the two.
    ReplaceMerges => ["R1"];
    /// Control records are counted with the pins.
    ControlIsCounted => ["C9"];
    /// Control records are written without looking at what is there.
    ControlIgnoresRevision => ["R4"];
    /// The longest key that is taken is one shorter than declared.
    LimitOffByOne => ["S1"];
    /// The longest control record that is taken is one byte shorter than promised.
    ControlLimitOffByOne => ["S1"];
    /// A value that is too long is cut and stored.
    LargeValueCut => ["S1"];
    /// A refused put is stored all the same.
    RefusedIsStored => ["F3", "S1"];
    /// A refusal asks to be tried again.
    RefusalAsksForRetry => ["F2"];
    /// A refusal says that it may have been applied.
    RefusalMayHaveApplied => ["F2"];
    /// Errors do not say which backend they come from.
    ErrorsWithoutBackend => ["F4"];
    /// The memory that a value came in is kept.
    KeepsCallersMemory => ["C11"];
    /// The store opens empty of what makes a namespace exist: creating twice succeeds.
    CreateTwice => ["I5", "F1"];
    /// Reads come from what the handle has read before, unless it wrote since.
    ReadsAreCached => ["X1"];
    /// Reads come from what the handle has read before, puts of its own or not.
    ReadsLag => ["X3"];
    /// `has` answers what it answered before.
    HasLags => ["X1"];
    /// A put is acknowledged first and done then.
    WritesAnswerEarly => ["X3", "X1", "P3"];
    /// A put is done once more after it was acknowledged, as by a retry that comes late.
    WritesApplyTwice => ["X1"];
    /// A put takes the old record away before it stores the new one.
    PutRemovesFirst => ["X1", "X6"];
    /// `if newer` reads, compares and then writes.
    IfNewerRaces => ["X1", "X6"];
    /// `if version` reads, compares and then writes.
    IfVersionRaces => ["X2"];
    /// Control records are read, compared and then written.
    ControlRaces => ["X2"];
    /// What was deleted comes back a little later.
    DeletesComeUndone => ["X1"];
    /// A put soon after a delete is acknowledged and lost.
    PutsAfterDeletesAreLost => ["X3", "X1"];
    /// A put that was done is said not to have been.
    AppliedSaysNotApplied => ["X1"];
    /// A put that is refused can be read for a while.
    RefusedShowsForAWhile => ["X1"];
    /// Every second handle has a clock of its own that lags, and the newer write wins.
    HandleClockLags => ["X3", "X1"];
    /// A store that may lag never catches up with what it has once shown.
    NeverCatchesUp => ["C10"];
    /// A store that names the time in which it settles takes longer.
    SettlesLate => ["X3"];
    /// Of two writes of a key soon after one another a store that is eventual settles on the
    /// first.
    SettlesOnOlder => ["X3"];
    /// A scan leaves out what its handle wrote last.
    ScanMissesOwnWrite => ["X4"];
    /// A put whose future was dropped is done after a barrier.
    CancelledAppliesLate => ["Q3"];
    /// A put whose future was dropped leaves half of its value.
    CancelledLeavesHalf => ["Q3", "Q1", "Q2"];
    /// A put whose future was dropped keeps the lock that it held.
    CancelledKeepsLock => ["Q3"];
    /// Fields of a pin that the store does not know are dropped.
    UnknownFieldsDropped => ["C5"];
    /// Times are kept as numbers of single precision.
    TimesInSinglePrecision => ["C6"];
    /// Expiries are kept in local time and read as UTC.
    ExpiryShiftsZone => ["C6", "C1"];
    /// A depth of -1 is read as an unsigned number.
    DepthUnsigned => ["C7"];
    /// Empty texts are kept as nothing.
    EmptyIsNull => ["C7", "C1"];
    /// Allocations are kept as a set.
    AllocationsSorted => ["C8", "C1"];
    /// Names are normalised.
    NamesNormalised => ["U2"];
    /// Names lose the blanks around them.
    NamesTrimmed => ["U2"];
    /// Metadata are cut after 1,000 entries.
    MetadataCut => ["S3"];
    /// Sizes of shards are signed numbers.
    ShardSizeSigned => ["C1"];
    /// A list skips what is no pin.
    UndecodableSkipped => ["L8"];
    /// A list shows every pin as one of data.
    TypesLostInLists => ["L12", "C1"];
    /// Versions are rounded to milliseconds.
    VersionsRounded => ["C1"];
    /// `has` takes an empty value for no record.
    HasOfEmptyIsFalse => ["C2"];
    /// `has` says yes where it would have to look.
    HasSaysMaybe => ["N2", "C2", "B1"];
    /// A page of no rows is a panic.
    EmptyPagePanics => ["F5"];
    /// Every put counts, also of what is there.
    RepeatedPutsCount => ["I1", "K1"];
    /// A batch that is applied again does its deletes first and keeps an old value of one put.
    BatchAgainIsAnother => ["I3"];
    /// A conditional delete that is repeated takes its marker away.
    RepeatedDeleteForgets => ["I4", "R6"];
    /// A batch applies again with the next one.
    BatchReapplied => ["B6", "B9"];
    /// Of two batches at once one loses its first write.
    BatchesAtOnceLose => ["B9"];
    /// A scan gives all rows as one page.
    ScanIsOnePage => ["L2"];
    /// A scan copies every row before it gives its first page.
    ScanCopiesAll => ["L2"];
    /// Scans that are dropped keep what they held, and there is only so much.
    DroppedScansHold => ["L3"];
    /// Writers wait for scans that are under way.
    ScanHoldsWriters => ["L4"];
    /// A page whose future is dropped is lost, and the end does not count it.
    DroppedPageIsLost => ["L5"];
    /// A page is ordered by what came last.
    PagesBackwards => ["L11"];
    /// Of two scans at once one takes rows from the other.
    ScansShareRows => ["L13"];
    /// Of a page that is shown where it stands the first row is left out.
    ShowLosesRow => ["L15"];
    /// Rows that are shown where they stand come again as a page.
    ShowStaysBehind => ["L15"];
    /// A scan that was cut off says that all its rows were shown.
    CutOffShowEnds => ["L15"];
    /// Pages are found by how many rows came before.
    PagesByOffset => ["L14", "L6", "E7"];
    /// A put brings back what was deleted last.
    PutRevivesDeleted => ["N4"];
    /// Lengths of values have sixteen bits.
    LengthOf16Bits => ["S2"];
    /// Identity digests are cut as long as others are.
    IdentityDigestCut => ["S4"];
    /// Only the first thousand keys are in the index that is read.
    IndexOfThousand => ["S5"];
    /// Each opened store leaves a thread behind.
    OpenLeaksThread => ["Z1"];
    /// An empty batch waits for ever.
    EmptyBatchHangs => ["B8"];
    /// Each call whose future was dropped keeps one of the places for calls.
    DroppedKeepsPlace => ["Q5"];
    /// A write whose future was dropped keeps its key locked.
    DroppedKeepsKey => ["Q1", "Q2"];
    /// An opening that was dropped keeps the store locked.
    DroppedOpeningKeepsLock => ["Q4"];
    /// Of many writes at once some are done, and said not to have been.
    OverloadRefusesApplied => ["P1"];
    /// A write that has to wait for its turn waits with a copy of its value.
    WaitingPutsCopied => ["P1"];
    /// Writes wait until nobody scans.
    ScansStarveWrites => ["P4"];
    /// Scans wait until nobody writes.
    WritesStarveScans => ["P4"];
    /// Counting and batches take two locks in two orders.
    TwoLocksTwoOrders => ["X5"];
    /// A runtime of several threads is taken for granted.
    NeedsManyThreads => ["X8"];
    /// A write to a closed store waits for ever.
    CloseStrandsWrites => ["Z5"];
    /// A closed store says that it is ready.
    ClosedIsReady => ["H1"];
    /// Asking how the store is leaves a control record.
    HealthWrites => ["H2"];
    /// A server that was away once is not found again.
    ServerStaysLost => ["H3"];
    /// Calls under way when the server goes away never end.
    ServerStrandsCalls => ["H3"];
    /// A store whose server is away says that it is ready.
    ReadyWithoutServer => ["H3"];
    /// While the server is away no record is found.
    MissingWithoutServer => ["H3"];
    /// A server that was away has forgotten what was written before.
    ServerForgets => ["H3"];
    /// A pin that has expired is hidden from `get`, and from nothing else.
    ExpiredIsHidden => ["T1"];
    /// A pin without expiry takes over that of the one it replaces.
    ExpiryKept => ["T3"];
    /// An expiry is kept to the minute.
    ExpiryInMinutes => ["T6", "C6"];
    /// A short batch is acknowledged and waits for the next short one.
    ShortBatchWaits => ["E1", "E3", "E4"];
    /// The last write of a long batch is lost.
    BatchLosesLast => ["E1", "E2"];
    /// An export that was broken off keeps the store from counting.
    BrokenExportBlocks => ["E6"];
}
