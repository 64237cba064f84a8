"""Tables: which columns they have, how they are put together, read and summarized."""
