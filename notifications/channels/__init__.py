"""Ways a message leaves Mainstay; one module each."""
