class Explanation:
    pass
