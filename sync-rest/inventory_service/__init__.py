"""Part A's inventory service: called by the order service, and answers with the verdict on a reservation."""
