"""Whether a registry can do here what it promises: tried out, and said in lines."""
