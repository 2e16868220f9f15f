OPERATORS = {
    name: None
    for name in "eq neq gt gte lt lte like ilike match imatch is isdistinct in cs cd ov fts plfts phfts wfts".split()
}
