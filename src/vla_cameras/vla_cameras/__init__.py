"""USB cameras, video files and folders of pictures as a contract's image streams."""
