"""Real Apache Kafka and real mongod, started on free ports in temporary folders."""
