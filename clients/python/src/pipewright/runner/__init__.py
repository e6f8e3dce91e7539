"""The API for runners."""
