"""What happens around training: explaining, recording, stopping well."""
