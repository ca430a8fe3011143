"""Authorization: callers, their grants, and how long retired keys are needed."""
