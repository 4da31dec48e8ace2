//! One pin: its typed model, its zero-copy view, and its protobuf and JSON forms.
