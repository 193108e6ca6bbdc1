"""Where bytes live: liveness, the memory plan, and an independent checker."""
