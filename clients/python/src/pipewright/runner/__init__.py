"""What runners speak to the service."""
