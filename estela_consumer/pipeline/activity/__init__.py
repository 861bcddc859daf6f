"""What one topic's pipeline has done and is doing, for whoever looks at it from outside."""
