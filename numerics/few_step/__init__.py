"""What few-step students and their targets are on laws that are known exactly."""
