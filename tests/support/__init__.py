"""What tests share: models, servers, waiting."""
