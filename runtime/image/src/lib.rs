//! Root file systems: the embedded probe image, directories, tar archives, overlay.
