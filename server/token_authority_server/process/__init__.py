"""Process: starts, reloads and stops a server, and explains its decisions without one."""
