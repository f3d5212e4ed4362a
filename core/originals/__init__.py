"""Where the pictures of indexed photos are read from when somebody asks for one."""
