"""What a version must keep to be published: bounds, checks against the version that is live, and the verdict."""
