"""Tables: their columns, and the code that assembles, reads and summarizes them."""
