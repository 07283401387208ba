// j, k, Enter, x, ?
