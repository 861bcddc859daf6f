"""The fault suite: what stays true while everything around the consumer breaks."""
