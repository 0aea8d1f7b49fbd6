"""What every service is made of: a Celery application, a database of its own, and answers given once per key."""
