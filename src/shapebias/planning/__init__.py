"""Planning: what a study would take, before it runs."""
