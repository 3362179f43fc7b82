-- Taken by another branch; the merge puts its step here.
SELECT 1;
