"""What was answered to whom: logged by services, kept in Kafka, read for landing."""
