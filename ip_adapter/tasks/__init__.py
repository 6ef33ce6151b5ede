"""What trains, draws and scores inside the host."""
