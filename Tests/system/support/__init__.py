"""What the system tests are written with: a deployment, devices, administrators and browsers."""
