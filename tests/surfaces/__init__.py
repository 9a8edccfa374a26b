"""What a person sees: JupyterLab in a browser, the terminal, and runs with nobody at the keyboard."""
