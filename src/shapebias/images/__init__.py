"""Image files and sets of images: decoding, listing, packing into shards, contact sheets."""
