namespace pitbox {}
