"""What stands over all apps in the API: scores, and meetings with the agenda that is made from them."""
