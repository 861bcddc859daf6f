"""How kafka-python is used: with parts of it that are not public, or by its public interface alone."""
