"""Standing queries: "tell me when ...". Objects that outlive the conversation they were made in.

`orders` reads the sentences, `conditions` what is to be recognised and by what, `gate` judges every new
observation, `book` keeps the queries, `watch` runs it all and speaks up, `webhook` tells other programs.
"""
