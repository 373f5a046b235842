"""Whether an explanation is true, whether its causes are causes, and what a look at a user costs."""
