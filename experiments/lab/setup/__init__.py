"""What this machine has of Docker, Java and the brokers' programs, and how to get them; it must not import runtime."""
