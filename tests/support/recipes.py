"""The built-in recipes that are trained on the digits; the others want data of their own kind."""

ON_DIGITS = ("convolutional", "functional", "scaled", "sequential", "two_branch")
