"""The store in DynamoDB. Nothing outside this folder encodes, decodes or calls DynamoDB; the client is passed in."""
