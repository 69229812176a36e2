"""The same steps on a plain directory and on a Tenon drive must be answered alike."""
