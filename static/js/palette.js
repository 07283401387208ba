// Ctrl+K palette
