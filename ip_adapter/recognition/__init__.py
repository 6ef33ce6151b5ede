"""What an adapter file is: from any layout on the disk to a spec, and back to the published layout."""
