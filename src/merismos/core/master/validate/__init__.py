"""What a master refuses, and the words it refuses it with."""
