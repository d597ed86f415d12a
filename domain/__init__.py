"""The words everyone speaks: records, enums, outcomes, errors. No I/O, no clock, no environment."""
