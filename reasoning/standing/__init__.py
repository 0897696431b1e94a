"""Standing queries: "tell me when ...". Objects that outlive the conversation they were made in.

`commands` reads the sentences, `conditions` what is to be recognised and by what, `gate` judges every new observation,
`look` has a model look for what no sign tells, `alarms` knows what was decided and what of it was false, `store` keeps
it all, `watch` runs it and speaks up, `webhook` tells other programs.
"""
