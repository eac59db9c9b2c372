"""What people and jobs run: on top of everything, and mostly through the public interface."""
