"""Every data set that mien reads: a file each, recognised by its layout or named."""
