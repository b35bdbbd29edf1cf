"""External samplers: identified by their tables. adapters -> process -> judge -> report, tied together in verify."""
