//! The names of the operations that errors, spans and metrics speak of.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The operation that an error, a span or a metric speaks of.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Operation { $($(#[$doc])* $name,)* }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The operation's stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

operations! {
    /// Opening a store.
    Open = "open",
    /// Reading one record.
    Get = "get",
    /// Reading many records.
    GetMany = "get_many",
    /// Asking whether a record exists.
    Has = "has",
    /// Writing one record.
    Put = "put",
    /// Deleting one record.
    Delete = "delete",
    /// Writing a batch.
    Apply = "apply",
    /// Reading a range in pages.
    Scan = "scan",
    /// Dividing a namespace into ranges.
    Split = "split",
    /// Counting records.
    Count = "count",
    /// Dropping old delete markers.
    Purge = "purge_deleted",
    /// Creating a namespace.
    CreateNamespace = "create_namespace",
    /// Opening a namespace.
    OpenNamespace = "open_namespace",
    /// Listing namespaces.
    ListNamespaces = "list_namespaces",
    /// Dropping a namespace.
    DropNamespace = "drop_namespace",
    /// Putting one namespace in another's place.
    ReplaceNamespace = "replace_namespace",
    /// Reading a control record.
    ControlGet = "control_get",
    /// Listing control records.
    ControlList = "control_list",
    /// Writing a control record.
    ControlSet = "control_set",
    /// Deleting a control record.
    ControlDelete = "control_delete",
    /// Checking health.
    Health = "health",
    /// Waiting for durability.
    Sync = "sync",
    /// Measuring a store.
    Bench = "bench",
    /// Closing a store.
    Close = "close",
    /// Adding a pin.
    Add = "add",
    /// Removing a pin.
    Rm = "rm",
    /// Listing pins.
    List = "list",
    /// Writing a pinset out.
    Export = "export",
    /// Reading a pinset in.
    Import = "import",
    /// Reading the pins of a file or of a stream.
    ReadPins = "read_pins",
    /// Comparing two pinsets.
    Compare = "compare",
    /// Moving a pinset from one place to another.
    Migrate = "migrate",
    /// Writing to two stores at once.
    Mirror = "mirror",
    /// Reading configuration.
    Configure = "configure",
    /// Drawing a version from the clock.
    Clock = "clock",
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
