"""Part A's notification service: called by the order service, and answers when the student has been notified."""
