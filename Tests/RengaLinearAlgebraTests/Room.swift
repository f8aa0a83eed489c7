// replaced by its room's first file
